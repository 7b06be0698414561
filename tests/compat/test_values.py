"""Headers, cookies, messages and settings without a network: expressions evaluated by both libraries."""

from __future__ import annotations

import httpx
import pytest

import scallion
from compat.comparing import evaluate
from compat.plain import differences
from face.differences import DIFFERENCES

_H = "Headers([('A', '1'), ('b', '2'), ('a', '3')])"
HEADERS = [
    *(
        f"Headers({value})"
        for value in (
            "",
            "None",
            "{}",
            "{'a': 'b'}",
            "{b'a': b'b'}",
            "[('a', 'b'), ('A', 'c')]",
            "[(b'a', 'b')]",
            "Headers({'a': 'b'})",
            "{'a': 'caf\\xe9'}",
            "{'a': b'caf\\xc3\\xa9'}",
            "{'a': b'caf\\xe9'}",
            "{'a': 'caf\\xe9'}, encoding='utf-8'",
            "{'a': 1}",
            "[('a',)]",
            "'ab'",
        )
    ),
    *(
        f"{_H}{rest}"
        for rest in (
            ".raw",
            ".keys()",
            ".values()",
            ".items()",
            ".multi_items()",
            "['a']",
            "['B']",
            "['z']",
            ".get('A')",
            ".get('z', 'd')",
            ".get_list('a')",
            ".get_list('z')",
            ".get_list('a', split_commas=True)",
            ".copy()",
            ".__len__()",
            ".__contains__('B')",
            ".__contains__('z')",
            ".__repr__()",
            ".__eq__([('a', '1'), ('b', '2'), ('a', '3')])",
            ".__eq__({'a': '1, 3', 'b': '2'})",
            ".__eq__(Headers())",
            ".setdefault('a', 'x')",
            ".setdefault('z', 'x')",
            ".pop('a')",
            ".pop('z', 'd')",
            ".pop('z')",
            ".encoding",
            ".__iter__().__next__()",
        )
    ),
    *(
        f"(lambda h: ({act}, h)[1])({_H})"
        for act in (
            "h.update({'a': 'x'})",
            "h.update([('a', 'x'), ('a', 'y')])",
            "h.update({'C': 'x'})",
            "h.update(None)",
            "h.__setitem__('a', 'x')",
            "h.__setitem__('B', 'x')",
            "h.__setitem__('new', 'x')",
            "h.__setitem__('a', 'caf\\xe9')",
            "h.__delitem__('a')",
            "h.__delitem__('z')",
            "h.clear()",
            "h.pop('a')",
            "setattr(h, 'encoding', 'latin-1')",
        )
    ),
    "Headers({'a': 'x, y,z'}).get_list('a', split_commas=True)",
    "Headers([('a', 'x, y'), ('a', 'z')]).get_list('a', split_commas=True)",
    "repr(Headers({'Authorization': 'secret', 'Proxy-Authorization': 'secret', 'a': 'b'}))",
    "repr(Headers({'a': 'b'}, encoding='utf-8'))",
    "hash(Headers())",
    "dict(Headers([('a', '1'), ('a', '2')]))",
    "Headers({'a': 'b'}) == {'A': 'b'}",
    "Headers({'a': 'b'}) != {'a': 'c'}",
    "'a' in Headers({'A': 'b'})",
]

COOKIES = [
    "Cookies()",
    "Cookies({'a': '1'})",
    "Cookies([('a', '1'), ('b', '2')])",
    "Cookies(Cookies({'a': '1'}))",
    "Cookies({'a': '1'})['a']",
    "Cookies({'a': '1'})['z']",
    "Cookies({'a': '1'}).get('z', 'd')",
    "len(Cookies({'a': '1', 'b': '2'}))",
    "bool(Cookies())",
    "bool(Cookies({'a': '1'}))",
    "sorted(Cookies({'a': '1', 'b': '2'}))",
    "dict(Cookies({'a': '1', 'b': '2'}))",
    *(
        f"(lambda c: ({act}, c))(Cookies({{'a': '1', 'b': '2'}}))"
        for act in (
            "c.set('c', '3')",
            "c.set('a', '9')",
            "c.set('a', '9', domain='x.example')",
            "c.set('a', '9', path='/p')",
            "c.delete('a')",
            "c.delete('z')",
            "c.delete('a', domain='', path='/')",
            "c.delete('a', domain='x', path='/')",
            "c.clear()",
            "c.clear(domain='x')",
            "c.clear(domain='')",
            "c.update({'c': '3'})",
            "c.update(Cookies({'a': '9'}))",
            "c.__delitem__('a')",
            "c.__delitem__('z')",
            "c.__setitem__('x', 'y')",
            "c.pop('a')",
        )
    ),
    "(lambda c: (c.set('a', '1', domain='x'), c.set('a', '2', domain='y'), c['a']))(Cookies())",
    "(lambda c: (c.set('a', '1', domain='x'), c.set('a', '2', domain='y'), c.get('a', domain='y')))(Cookies())",
    "(lambda c: (c.set('a', '1', domain='x'), c.set('a', '2', path='/p'), c.get('a', path='/p')))(Cookies())",
    "(lambda r: (Cookies({'a': '1', 'b': '2'}).set_cookie_header(r), r.headers))(Request('GET', 'http://x/'))",
]

REQUESTS = [
    "Request('get', 'http://a')",
    "Request('GET', URL('http://a/b'))",
    "Request('GET', '/relative')",
    "Request('GET', '')",
    "Request('GET', 'http://a/?x=1', params={'y': '2'})",
    "Request('GET', 'http://a/?x=1', params={})",
    "Request('GET', 'http://a/?x=1', params=None)",
    "Request('POST', 'http://a', content=b'x')",
    "Request('POST', 'http://a', content='x')",
    "Request('POST', 'http://a', json={'a': 1})",
    "Request('POST', 'http://a', data={'a': 1})",
    "Request('POST', 'http://a', files={'f': b'x'})",
    "Request('POST', 'http://a', files={'f': b'x'}).read()",
    "Request('POST', 'http://a', content=gen(b'a', b'b'))",
    "Request('POST', 'http://a', content=gen(b'a', b'b')).read()",
    "Request('POST', 'http://a', content=gen(b'a', b'b')).content",
    "Request('POST', 'http://a')",
    "Request('PUT', 'http://a')",
    "Request('PATCH', 'http://a')",
    "Request('DELETE', 'http://a')",
    "Request('GET', 'http://a').content",
    "Request('GET', 'http://a').read()",
    "Request('GET', 'http://a', headers={'Host': 'b'})",
    "Request('GET', 'http://a', headers={'x': '1'}, cookies={'c': 'd'})",
    "Request('POST', 'http://a', stream=ByteStream(b'x'))",
    "Request('GET', 'http://a', extensions={'timeout': {'read': 1}})",
    "Request('GET', 'http://a').extensions",
    "repr(Request('GET', 'http://a/b?c#d'))",
    "Request('GET', 'http://a') == Request('GET', 'http://a')",
    "Request('POST', 'http://a', content=1)",
    "Request('POST', 'http://a', json=object())",
    "b''.join(Request('POST', 'http://a', data={'a': 'b'}).stream)",
    "__import__('pickle').loads(__import__('pickle').dumps(Request('POST', 'http://a', content=b'x')))",
]

_R = "Request('GET', 'http://a/b?c')"
RESPONSES = [
    *(
        f"Response({arguments})"
        for arguments in (
            "200",
            "200, content=b'x'",
            "200, content='x\\u20ac'",
            "200, content=b''",
            "200, text='x\\u20ac'",
            "200, html='<p>'",
            "200, json={'a': '\\u20ac'}",
            "200, json=None",
            "200, json=float('nan')",
            "200, content=gen(b'a', b'b')",
            "200, content=[b'a', b'b']",
            "200, stream=ByteStream(b'x')",
            "200, headers={'Content-Type': 'text/plain; charset=latin-1'}, content=b'\\xe9'",
            "200, headers={'Content-Encoding': 'gzip'}, content=b'bad'",
            "200, headers={'Content-Length': '5'}, content=b'x'",
            "200, headers={'Transfer-Encoding': 'chunked'}, content=gen(b'a')",
            "200, headers={'Content-Length': '1'}, content=gen(b'a')",
            "200, headers=[('a', '1'), ('a', '2')]",
            f"200, request={_R}",
            f"302, headers={{'location': '/x'}}, request={_R}",
            "302, headers={'location': '/x'}",
            "999",
            "0",
            "'200'",
            "codes.NOT_FOUND",
            f"404, request={_R}, extensions={{'reason_phrase': b'Nope', 'http_version': b'HTTP/2'}}",
            "200, extensions={'reason_phrase': b'caf\\xe9'}",
            "200, default_encoding='latin-1', content=b'\\xe9'",
            "200, default_encoding=lambda c: 'latin-1', content=b'\\xe9'",
            "200, history=[Response(302)]",
            "200, headers={'Set-Cookie': 'a=1'}",
            f"200, headers={{'Set-Cookie': 'a=1; Path=/b'}}, request={_R}",
            "200, content=1",
        )
    ),
    *(
        f"Response({status}, request={_R}).raise_for_status()"
        for status in (
            100,
            101,
            199,
            200,
            204,
            299,
            300,
            302,
            304,
            400,
            404,
            418,
            499,
            500,
            503,
            599,
            600,
            999,
            0,
        )
    ),
    f"Response(302, headers={{'location': '/x'}}, request={_R}).raise_for_status()",
    f"Response(301, headers={{'location': 'http://b/'}}, request={_R}).raise_for_status()",
    f"Response(404, request={_R}, extensions={{'reason_phrase': b''}}).raise_for_status()",
    "Response(200).raise_for_status()",
    "Response(200).request",
    "Response(200).url",
    "Response(200).elapsed",
    "Response(200).num_bytes_downloaded",
    "Response(200, json=[1]).json()",
    "Response(200, text='a').json()",
    "Response(200, json='1').json(parse_int=float)",
    *(
        f"Response(200, content='a\\nb\\r\\nc\\rd\\u2028e\\n'){rest}"
        for rest in (
            ".iter_lines()",
            ".iter_text()",
            ".iter_bytes()",
            ".iter_text(3)",
            ".iter_bytes(4)",
            ".iter_raw()",
            ".read()",
            ".close()",
        )
    ),
    *(
        f"list(Response(200, content=b'a\\nb\\r\\nc\\rd\\n').{how})"
        for how in ("iter_lines()", "iter_text()", "iter_bytes()", "iter_text(3)", "iter_bytes(4)")
    ),
    "list(Response(200, content=gen(b'ab', b'c')).iter_bytes(1))",
    "list(Response(200, content=gen(b'ab', b'c')).iter_raw(2))",
    "list(Response(200, content=gen(b'ab', b'c')).iter_lines())",
    "list(Response(200, content=b'').iter_bytes())",
    "list(Response(200, content=b'').iter_text())",
    "list(Response(200, content=b'').iter_lines())",
    "(lambda r: (setattr(r, 'encoding', 'latin-1'), r.text))(Response(200, content=b'\\xe9'))",
    "(lambda r: (r.text, setattr(r, 'encoding', 'latin-1')))(Response(200, content=b'\\xe9'))",
    "(lambda r: (setattr(r, 'encoding', 'nope'), r.text))(Response(200, content=b'\\xe9'))",
    "__import__('pickle').loads(__import__('pickle').dumps(Response(200, content=b'x', headers={'a': 'b'})))",
    "__import__('pickle').loads(__import__('pickle').dumps(Response(200, content=gen(b'x')))).is_closed",
]

SETTINGS = [
    *(
        f"Timeout({arguments}).as_dict()"
        for arguments in (
            "5",
            "None",
            "5, read=1",
            "(1, 2, 3, 4)",
            "connect=1, read=2, write=3, pool=4",
            "connect=1",
            "",
            "None, pool=3",
            "Timeout(3)",
            "0",
            "1.5",
        )
    ),
    *(f"repr(Timeout({arguments}))" for arguments in ("5", "None", "5, read=1", "(1, 2, 3, 4)")),
    "Timeout(5) == Timeout(5.0)",
    "Timeout(5) == 5",
    *(
        f"repr(Limits({arguments}))"
        for arguments in (
            "",
            "max_connections=1",
            "max_connections=None, max_keepalive_connections=5",
            "keepalive_expiry=None",
        )
    ),
    "Limits() == Limits()",
    "Limits(max_connections=1) == Limits()",
    *(
        f"repr(Proxy({arguments}))"
        for arguments in (
            "'http://p:3128'",
            "'http://u:p@p:3128'",
            "'socks5://p'",
            "'http://p', auth=('u', 'p')",
        )
    ),
    "Proxy('http://u:p@p').raw_auth",
    "Proxy('http://u:p@p').url",
    "Proxy('http://p', headers={'a': 'b'}).headers",
    "Proxy('ftp://p')",
    "Proxy('p')",
    *(
        f"codes.{name}"
        for name in (
            "OK",
            "NOT_FOUND",
            "ok",
            "not_found",
            "IM_A_TEAPOT",
            "UNPROCESSABLE_ENTITY",
            "REQUEST_ENTITY_TOO_LARGE",
        )
    ),
    *(f"codes.get_reason_phrase({status})" for status in (200, 404, 418, 451, 599, 0)),
    *(
        f"codes.{kind}({status})"
        for kind in (
            "is_success",
            "is_redirect",
            "is_client_error",
            "is_server_error",
            "is_error",
            "is_informational",
        )
        for status in (100, 200, 302, 404, 503)
    ),
    "codes(200)",
    "codes(999)",
    "len(codes)",
    "str(codes.OK)",
]

DIFFERENT = {
    "Headers() == 1": "answers where httpx fails",
    "Response(200).cookies": "answers where httpx fails",
    "repr(Request('GET', 'http://user:pass@a/'))": "secrets are masked",
    "Headers().__setitem__('a', 1)": "wrong types",
}

ALL = [*HEADERS, *COOKIES, *REQUESTS, *RESPONSES, *SETTINGS]


@pytest.mark.parametrize("expression", ALL, ids=lambda text: text[:120])
def test_values_are_the_same(expression: str) -> None:
    """
    The value, or the class of error, is httpx's.
    """
    assert [] == differences(evaluate(httpx, expression), evaluate(scallion, expression))


@pytest.mark.parametrize("expression", DIFFERENT)
def test_values_that_differ_on_purpose(expression: str) -> None:
    """
    Each for a reason that is listed.

    differences: "answers where httpx fails", differences: "secrets are masked",
    differences: "wrong types".
    """
    assert DIFFERENT[expression] in DIFFERENCES
    assert differences(evaluate(httpx, expression), evaluate(scallion, expression))
