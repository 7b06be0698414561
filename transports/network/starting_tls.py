"""How a channel becomes an encrypted one: the handshake, what is looked at after it, and what it says when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scallion.pipeline.errors import ConnectError, TimeoutException, TransportError

from .base import Carrier
from .encryption import TLSChannel
from .faults import handshake_timed_out
from .handshakes import handshake_failed

if TYPE_CHECKING:
    import ssl

__all__ = ["encrypted"]


async def encrypted(
    carrier: Carrier,
    context: ssl.SSLContext,
    server_hostname: str | None,
    timeout: float | None,
) -> TLSChannel:
    """Shake hands over `carrier`, which is closed if that fails.

    Raises:
        ConnectTimeout, ConnectError: as `ByteChannel.start_tls`. Nothing of a request has been sent then, also where
            it is not the pinned certificate.
    """
    channel: TLSChannel | None = None

    def failed(cause: BaseException) -> ConnectError:
        if channel is None:
            return handshake_failed(server_hostname, cause, context=context)
        return handshake_failed(
            server_hostname,
            cause,
            context=context,
            tls=channel.info("ssl_object"),
            first=channel.first,
        )

    try:
        channel = TLSChannel(carrier, context, server_hostname)
        await channel.shake_hands(timeout)
    except TimeoutException as exc:
        raise handshake_timed_out(server_hostname, timeout) from exc
    except TransportError as exc:
        # Below it was "receiving failed: …"; here the handshake did, and for that reason.
        raise failed(exc.__cause__ or exc) from exc
    # A host that the context cannot check is a ValueError: none given, or one that is no name.
    except (OSError, ValueError) as exc:
        raise failed(exc) from exc
    else:
        channel.accept(server_hostname)
        channel.ready = True
        return channel
    finally:
        if channel is None or not channel.ready:
            carrier.close()
