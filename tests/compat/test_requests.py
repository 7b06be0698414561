"""Requests on the wire: methods, headers, params, URLs, bodies. Each call once by httpx, once by scallion."""

from __future__ import annotations

from collections.abc import Callable

from compat.comparing import Case, case, each_of

METHODS = [
    *(
        case(f"c.{verb}(at('/'))")
        for verb in ("get", "options", "head", "post", "put", "patch", "delete")
    ),
    *(
        case(f"c.request({method!r}, at('/'))")
        for method in ("GET", "get", "PoSt", "TRACE", "PROPFIND", "query-it", "M-SEARCH", "")
    ),
    *(
        case(f"c.request({method!r}, at('/'), content=b'body')")
        for method in ("GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND", "PATCH")
    ),
    case("c.request('GE T', at('/'))"),
    case("c.request('GET\\r\\nX: y', at('/'))"),
    case("c.request(b'GET', at('/'))", differs="wrong types"),
    case("c.send(c.client.build_request('PUT', at('/x')))"),
    case("c.send(Request('PUT', at('/x'), content=b'1'))"),
    case("c.send(Request('POST', at('/x'), headers={'host': 'elsewhere'}))"),
    case("c.send(Request('GET', at('/x')), auth=('u', 'p'))"),
    case("c.get(URL(at('/x')))"),
    case("c.get(at('/x').encode())"),
    case("c.get(None)"),
    case("c.get('/no-base')"),
    case("c.get('no-scheme.example')"),
    case("c.get('://nothing')"),
    case("c.get('http://')"),
    case("c.get('ftp://example.org')"),
    case("c.get('https+x://example.org')"),
    case("c.get('')"),
]

HEADERS = [
    case("c.get(at('/'), headers={'a': '1', 'B': '2'})"),
    case("c.get(at('/'), headers=[('a', '1'), ('A', '2'), ('b', '3')])"),
    case("c.get(at('/'), headers=[(b'a', b'1'), (b'X-Bytes', b'\\xff\\xfe')])"),
    case("c.get(at('/'), headers=(('a', '1'),))"),
    case("c.get(at('/'), headers=Headers([('a', '1'), ('a', '2')]))"),
    case("c.get(at('/'), headers=None)"),
    case("c.get(at('/'), headers={})"),
    case("c.get(at('/'), headers={'accept': 'text/html'})"),
    case("c.get(at('/'), headers={'ACCEPT-ENCODING': 'identity'})"),
    case("c.get(at('/'), headers={'User-Agent': 'me', 'Connection': 'close'})"),
    case("c.get(at('/'), headers={'user-agent': ''})"),
    case("c.get(at('/'), headers={'Host': 'other.example'})"),
    case("c.get(at('/'), headers={'host': 'other.example:99', 'a': '1'})"),
    case("c.get(at('/'), headers=[('X', '1'), ('Host', 'other.example'), ('Y', '2')])"),
    case("c.get(at('/'), headers={'a': None})"),
    case("c.get(at('/'), headers={'a': 1})"),
    case("c.get(at('/'), headers={1: 'a'})", differs="wrong types"),
    case("c.get(at('/'), headers={'a': ['1']})"),
    case("c.get(at('/'), headers='a: 1')"),
    case("c.get(at('/'), headers=[('a', '1', '2')])"),
    case("c.get(at('/'), headers={'a': ' padded '})"),
    case("c.get(at('/'), headers={'a': 'x' * 5000})"),
    case("c.get(at('/'), headers={'a': ''})"),
    case("c.get(at('/'), headers={'': 'a'})"),
    case("c.get(at('/'), headers={'a b': '1'})"),
    case("c.get(at('/'), headers={'a:': '1'})"),
    case("c.get(at('/'), headers={'a': '1\\r\\nb: 2'})"),
    case("c.get(at('/'), headers={'a': '1\\n2'})"),
    case("c.get(at('/'), headers={'a': '1\\0'})"),
    case("c.get(at('/'), headers={'a': 'caf\\xe9'})"),
    case("c.get(at('/'), headers={'a': '\\u20ac'})"),
    case("c.get(at('/'), headers=Headers({'a': 'caf\\xe9'}, encoding='utf-8'))"),
    case("c.get(at('/'), headers=Headers({'a': 'caf\\xe9'}, encoding='latin-1'))"),
    case("c.get(at('/'), headers={'Content-Type': 'text/x'})"),
    case("c.get(at('/'), headers={'a': 'tab\\there'})"),
    case("c.get(at('/'), headers={'b': 'request'})", settings="headers={'a': '1', 'b': 'client'}"),
    case(
        "c.get(at('/'), headers=[('b', '1'), ('b', '2')])",
        settings="headers={'B': 'client', 'c': '3'}",
    ),
    case("c.get(at('/'))", settings="headers=[('a', '1'), ('a', '2'), ('accept', 'x')]"),
    case("c.get(at('/'))", settings="headers={'accept': 'x', 'ACCEPT': 'y'}"),
    case("c.get(at('/'))", settings="headers={'host': 'named.example'}"),
    case("c.get(at('/'))", settings="headers={'connection': 'close'}"),
    case("c.get(at('/'))", settings="headers={'User-Agent': 'mine/1'}"),
    case("c.get(at('/'))", settings="headers=Headers({'x': 'caf\\xe9'}, encoding='utf-8')"),
    case("c.post(at('/'), json={}, headers={'content-type': 'application/x'})"),
    case("c.post(at('/'), json={}, headers={'CONTENT-LENGTH': '2'})"),
    case("c.post(at('/'), content=b'abc', headers={'Content-Length': '3', 'z': '1'})"),
    case("c.post(at('/'), content=gen(b'abc'), headers={'Content-Length': '3'})"),
    case(
        "c.post(at('/'), content=b'abc', headers={'Transfer-Encoding': 'chunked'})",
        differs="a framing of the caller",
    ),
    case("c.post(at('/'), headers={'Transfer-Encoding': 'chunked'})"),
    case("c.post(at('/'), headers={'Content-Length': '0'})"),
    case("c.get(at('/'), headers={'Expect': '100-continue'})"),
    case("c.get(at('/'), headers={'TE': 'trailers', 'Connection': 'TE'})"),
    case("c.get(at('/'), headers={'Cookie': 'a=1; b=2'})"),
    case("c.get(at('/'), headers={'Authorization': 'Bearer x'})"),
]

PARAMS = [
    *(
        case(f"c.get(at({path!r}), params={params})")
        for path in ("/", "/p", "/p?a=1", "/p?a=1&a=2&b=%20", "/p#f")
        for params in (
            "None",
            "{}",
            "[]",
            "''",
            "{'a': 'new'}",
            "{'c': '3'}",
            "[('a', '1'), ('a', '2')]",
            "'x=1&y=2'",
            "b'x=1'",
            "QueryParams({'a': ['1', '2']})",
        )
    ),
    *(
        case(f"c.get(at('/p'), params={params})")
        for params in (
            "{'a': None}",
            "{'a': True, 'b': False}",
            "{'a': 1, 'b': 1.5, 'c': 10**30}",
            "{'a': [1, 2], 'b': (3, None)}",
            "{'a': []}",
            "{'a': ['']}",
            "{'a': ''}",
            "{'': 'a'}",
            "{'a b': 'c d'}",
            "{'a+b': 'c+d'}",
            "{'a': 'x&y=z'}",
            "{'a': '%20'}",
            "{'a': '%zz'}",
            "{'a': '\\u20ac\\xe9'}",
            "{'a': '/?:@!$\\'()*,;[]'}",
            "{'a': '~-._'}",
            "{'a': '\"<>\\\\^`{|}'}",
            "{'a': '\\n\\x00'}",
            "{'a': b'bytes'}",
            "{'a': {'b': 1}}",
            "{1: 2}",
            "{None: 'x'}",
            "'a=1&a=2&a'",
            "'?a=1'",
            "'a b=c d'",
            "'&&&'",
            "'a=%E2%82%AC&b=+'",
            "[('a', 'b', 'c')]",
            "['ab']",
            "'=v'",
            "set()",
            "{'a': {1}}",
        )
    ),
    case("c.get(at('/p'), params=1)", differs="wrong types"),
    case("c.get(at('/p'))", settings="params={'k': '1'}"),
    case("c.get(at('/p?a=1'))", settings="params={'k': '1'}"),
    case("c.get(at('/p?a=1'), params={})", settings="params={'k': '1'}"),
    case("c.get(at('/p'), params={'k': '2', 'l': '3'})", settings="params={'k': '1', 'm': '4'}"),
    case(
        "c.get(at('/p'), params=[('k', '2'), ('k', '3')])",
        settings="params=[('k', '0'), ('k', '1')]",
    ),
    case("c.get(at('/p'), params='k=9')", settings="params='k=1&j=2'"),
    case("c.get(at('/p'), params={'k': None})", settings="params={'k': '1'}"),
    case("c.get(at('/p'), params={'k': []})", settings="params={'k': '1'}"),
]

PATHS = [
    case("c.get(at('/\\ud800'))", differs="lone surrogates"),
    *(
        case(f"c.get(at({path!r}))")
        for path in (
            "",
            "?",
            "#",
            "/?",
            "/#",
            "/?#",
            "/a b",
            "/a%20b",
            "/a+b",
            "/%",
            "/%2",
            "/%zz",
            "/%41",
            "/%c3%a9",
            "/%C3%A9",
            "/é",
            "/€/日本",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/..",
            "/../..",
            "/.",
            "/a/.",
            "/a//b",
            "//a",
            "///",
            "/a/%2e%2e/b",
            "/a/%2E/b",
            "/...",
            "/a/...b",
            "/a;b=c",
            "/a:b@c",
            "/!$&'()*+,;=:@",
            "/~-._",
            '/"<>\\^`{|}',
            "/[a]",
            "/a%2Fb",
            "/a?b=c d",
            "/a?b=c%20d",
            "/a?b=c+d",
            "/a?b=%",
            "/a?b=é",
            "/a?b='\"<>",
            "/a?b=[]{}|\\^`",
            "/a?b=/?:@",
            "/a?b?c",
            "/a?b#c?d",
            "/a#b",
            "/a?%00",
            "/%00",
            "/a?a=1&a=1&&",
            "/a?=",
            "/a?a=&b",
            "/a#é",
            "/x" * 1000,
            "/\x7f",
            "/\t",
            "/\n",
            " /",
            "/a ",
            "/\u00a0",
            "/\u2028",
            "/\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        )
    ),
]

BASES = [
    *(
        case(f"c.get({url!r})", settings=f"base_url=base + {prefix!r}")
        for prefix in ("", "/", "/api", "/api/", "/api/v1?key=1", "/a%20b", "/a//")
        for url in (
            "",
            "/",
            "users",
            "/users",
            "//users",
            "../up",
            "./x",
            "?q=1",
            "#f",
            "a:b",
            "/a/../b?x=1#y",
        )
    ),
    case("c.get(at('/absolute'))", settings="base_url=base + '/api'"),
    case("c.get('users', params={'a': '1'})", settings="base_url=base + '/api'"),
    case("c.get('users?b=2', params={'a': '1'})", settings="base_url=base + '/api'"),
    case("c.get('users')", settings="base_url=URL(base + '/api')"),
    case(
        "c.get('users', headers={'a': '1'})",
        settings="base_url=base + '/api', headers={'b': '2'}, params={'c': '3'}",
    ),
    case("c.get('/x')", settings="base_url='example.org'"),
    case("c.get('/x')", settings="base_url='/only/path'"),
    case("c.get('/x')", settings="base_url=None"),
    case("c.get('/x')", settings="base_url=b'http://x'"),
]

BODIES = [
    *(
        case(f"c.post(at('/'), json={value})")
        for value in (
            "None",
            "{}",
            "[]",
            "''",
            "0",
            "False",
            "'text'",
            "{'a': [1, 2.5, None, True]}",
            "{'\\u20ac': '\\xe9\\u2028'}",
            "{'a': {'b': {'c': {}}}}",
            "{1: 2, None: 3, True: 4}",
            "[1e100, -0.0, 10**40]",
            "'\\ud83d\\ude00'",
            "'<>&\\'\"\\\\/\\n\\x00\\x7f'",
            "float('nan')",
            "float('inf')",
            "{'a': float('-inf')}",
            "object()",
            "{1, 2}",
            "b'bytes'",
            "(1, 2)",
            "'\\ud800'",
        )
    ),
    *(
        case(f"c.post(at('/'), data={value})")
        for value in (
            "None",
            "{}",
            "{'a': '1'}",
            "{'a': ['1', '2'], 'b': ('3',)}",
            "{'a': []}",
            "{'a': None}",
            "{'a': True, 'b': False}",
            "{'a': 1, 'b': 1.5}",
            "{'a': ''}",
            "{'a b': 'c d'}",
            "{'a+b': 'c&d=e'}",
            "{'\\u20ac': '\\xe9'}",
            "{'a': '~!*()\\''}",
            "{1: 2}",
            "{'a': {'b': 'c'}}",
            "{'a': [[1, 2]]}",
            "{'a': '\\n\\r'}",
            "b'raw'",
            "'text \\u20ac'",
            "gen(b'a', b'b')",
            "[]",
            "()",
            "1",
            "b''",
            "''",
            "io.BytesIO(b'file')",
        )
    ),
    *(
        case(f"c.post(at('/'), content={value})")
        for value in (
            "None",
            "b''",
            "''",
            "b'abc'",
            "'t\\xe9xt \\u20ac'",
            "gen(b'a', b'', b'bc')",
            "gen()",
            "[b'a', b'b']",
            "(b'a', b'b')",
            "[]",
            "io.BytesIO(b'file')",
            "io.BytesIO(b'')",
            "io.BytesIO(b'x' * 200000)",
            "agen(b'a', b'b')",
            "ByteStream(b'stream')",
            "1",
            "{'a': 1}",
            "object()",
            "b'x' * 100000",
            "iter([b'x', b'y'])",
            "gen('text')",
        )
    ),
    *(
        each
        for pairs in ("[('a', '1')]", "[('a', '1'), ('a', '2')]")
        for each in (
            case(f"c.post(at('/'), data={pairs})", colours=("sync",)),
            case(f"c.post(at('/'), data={pairs})", colours=("asyncio",), differs="wrong types"),
        )
    ),
    case("c.post(at('/'), data={'a': b'bytes'})", differs="bytes in forms"),
    case("c.post(at('/'), data={'a': b'\\xff'})", differs="bytes in forms"),
    case("c.post(at('/'), content=bytearray(b'abc'))", differs="buffers as bodies"),
    case("c.post(at('/'), content=memoryview(b'abc'))", differs="buffers as bodies"),
    case("c.post(at('/'), content=b'a', json={'b': 1})"),
    case("c.post(at('/'), content=b'a', data={'b': 1})"),
    case("c.post(at('/'), data={'a': 1}, json={'b': 1})"),
    case("c.post(at('/'), data={}, json={'b': 1})"),
    case("c.post(at('/'), files={}, json={'b': 1})"),
    case("c.post(at('/'), content='', headers={'Content-Type': 'x'})"),
    case("c.get(at('/'), content=b'x')"),
    case("c.put(at('/'))"),
    case("c.patch(at('/'), json=[])"),
    case("c.delete(at('/'), json={})"),
    case("c.request('DELETE', at('/'), json={})"),
]


async def _file_at_an_offset(c: object) -> object:
    import io

    file = io.BytesIO(b"0123456789")
    file.seek(4)
    return await c.post(c.at("/"), content=file)  # type: ignore[attr-defined]


FILES_AS_CONTENT = [
    case(_file_at_an_offset, differs="files from where they stand", colours=("sync",))
]

ALL = {
    "methods": METHODS,
    "headers": HEADERS,
    "params": PARAMS,
    "paths": PATHS,
    "bases": BASES,
    "bodies": [*BODIES, *FILES_AS_CONTENT],
}


@each_of(ALL)
def test_requests_are_the_same_on_the_wire(
    case: Case, colour: str, compare: Callable[[Case, str], None]
) -> None:
    """
    Bytes, result and error of each call in the tables are httpx's.

    differences: "a framing of the caller", differences: "buffers as bodies",
    differences: "bytes in forms", differences: "files from where they stand",
    differences: "lone surrogates", differences: "wrong types".
    """
    compare(case, colour)
