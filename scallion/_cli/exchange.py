"""One run: make the client, send the request, deliver the answer."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scallion._client import Client
from scallion._stacks import compatible
from scallion.pipeline.auth import Auth
from scallion.pipeline.errors import HTTPError, InvalidURL, StreamError
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.settings import Timeout

from .arguments import body_of, complete_url, method_of
from .download import Saved, remote_name, save
from .options import Options
from .outcome import Failure, failure_of, status_of
from .screen import Screen
from .show import pass_on, show
from .wire import Wire

if TYPE_CHECKING:
    import ssl

__all__ = ["exchange"]


def exchange(options: Options) -> int:
    """Do what was asked for; returns the exit status.

    Raises:
        Failure: it could not be done; it says why, and with which exit status.
        OSError: the output could not be written; `BrokenPipeError` if its reader went away.
        click.Abort: Ctrl-C, while a password was asked for.
    """
    out = Screen(sys.stdout, no_color=options.no_color)
    log = Screen(sys.stderr, no_color=options.no_color)
    to_file = options.remote_name or options.output is not None
    # With --verbose the heads are on standard error already.
    heads = options.include or (
        out.is_terminal and not options.verbose and not (to_file and options.output == "-")
    )
    wire = Wire(
        out if heads else None,
        log if options.verbose else None,
        show_secrets=options.show_secrets,
    )
    with ExitStack() as stack:
        client, request, auth = _prepare(options, wire, stack)
        saved = _target(options, stack)
        try:
            response = stack.enter_context(
                closing(
                    client.send(
                        request, stream=True, auth=auth, follow_redirects=options.follow_redirects
                    )
                )
            )
            _deliver(options, response, saved, out, log)
        except (HTTPError, InvalidURL, StreamError) as error:
            raise failure_of(error) from error
        wire.end(response)
        return status_of(response, check_status=options.check_status, fail=options.fail)


def _prepare(
    options: Options, wire: Wire, stack: ExitStack
) -> tuple[Client, Request, Auth | tuple[str, str] | None]:
    """The client, the request and the login; whatever is wrong with them is the user's mistake."""
    body = body_of(stack, options.content, options.data, options.files, options.json)
    headers = [*body.pop("headers", ()), *options.headers]
    auth = _auth(options)
    try:
        request_url = complete_url(options.url, options.params)
        client = stack.enter_context(_client(options, wire))
        request = client.build_request(
            method_of(options.method, body),
            request_url,
            headers=headers,
            cookies=dict(options.cookies),
            extensions={"trace": wire.trace} if options.verbose else None,
            **body,
        )
    except (HTTPError, InvalidURL) as error:
        raise failure_of(error) from error
    except (ValueError, TypeError, OSError) as error:
        raise Failure(str(error)) from error
    if options.verbose:
        request.observers = (wire.observe,)
    return client, request, auth


def _client(options: Options, wire: Wire) -> Client:
    pipeline = compatible(
        follow_redirects=options.follow_redirects, max_redirects=options.max_redirects
    ).per_attempt(wire)
    middlewares: list[Any] = []
    if options.retry:
        from scallion.middlewares.retries import Retries

        middlewares.append(Retries(attempts=options.retry + 1))
    timeout = Timeout(options.timeout, total=options.max_time)
    if options.connect_timeout is not None:
        timeout = Timeout(timeout, connect=options.connect_timeout)
    return Client(
        proxy=options.proxy,
        verify=_verify(options),
        http1=not options.prior_knowledge,
        http2=options.http2 or options.prior_knowledge,
        timeout=timeout,
        pipeline=pipeline,
        middlewares=middlewares,
    )


def _verify(options: Options) -> ssl.SSLContext | bool:
    if options.key is not None and options.cert is None:
        raise ValueError("--key needs --cert")
    if options.cacert is None and options.cert is None:
        return options.verify
    from scallion.transports.tls import create_ssl_context

    verify: Any = options.verify
    if verify and options.cacert is not None:
        verify = options.cacert
    cert: Any = options.cert
    if options.cert is not None and options.key is not None:
        cert = (options.cert, options.key)
    try:
        return create_ssl_context(verify, cert)
    except OSError as error:
        files = ", ".join(filter(None, (options.cacert, options.cert, options.key)))
        raise ValueError(f"no usable certificate in {files}: {error}") from error


def _auth(options: Options) -> Auth | tuple[str, str] | None:
    # Cases: one login at most; by token; by password, which may be asked for.
    if options.auth is not None and options.bearer is not None:
        raise Failure("one login only: --auth and --bearer exclude each other")
    if options.digest and options.auth is None:
        raise Failure("--digest needs --auth")
    if options.bearer is not None:
        from scallion.middlewares.bearer import BearerAuth

        token = _asked_for("Token") if options.bearer == "-" else options.bearer
        try:
            return BearerAuth(token)
        except (TypeError, ValueError) as error:
            raise Failure(f"--bearer: {error}") from error
    if options.auth is None:
        return None
    user, password = options.auth
    if password == "-":  # noqa: S105  # it stands for asking
        password = _asked_for("Password")
    if options.digest:
        from scallion.middlewares.digest import DigestAuth

        return DigestAuth(user, password)
    return user, password


def _asked_for(what: str) -> str:
    answer: str = click.prompt(what, hide_input=True, err=True)
    return answer


def _target(options: Options, stack: ExitStack) -> Saved | None:
    """The file of `--output`, opened before anything is sent: an unwritable one costs nothing then."""
    if options.output is not None and options.remote_name:
        raise Failure("one name only: --output and --remote-name exclude each other")
    if options.output is None or options.output == "-":
        return None
    return stack.enter_context(Saved(Path(options.output)))


def _deliver(
    options: Options, response: Response, saved: Saved | None, out: Screen, log: Screen
) -> None:
    # Cases: an error that --fail hides; to a file, its name given, or the server's; as it is; to a person.
    if options.fail and response.status_code >= 400:
        return
    if saved is not None:
        save(response, saved.file, saved.path.name, log, quiet=options.quiet)
        saved.commit()
    elif options.remote_name:
        name = remote_name(response)
        with Saved(Path(name), replace=False) as target:
            save(response, target.file, name, log, quiet=options.quiet)
            target.commit()
        if not options.quiet:
            log.line(f"Saved as {name}")
    elif options.output == "-" or not out.shown:
        pass_on(response, out)
    else:
        show(response, out, as_it_comes=options.stream)
