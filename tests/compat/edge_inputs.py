"""Calls to compare with httpx's: ordinary ones, and those that a user gets wrong. A line is an expression; see `surface`."""

from __future__ import annotations

__all__ = ["DIFFERENT", "SAME"]

SAME: dict[str, str] = {
    "URLs": r"""
        URL()
        URL("")
        URL("http://h")
        URL("https://h:443")
        URL("https://h:8443/")
        URL("http://h:abc")
        URL("http://h:")
        URL("http://[::1]:8")
        URL("http://[::1")
        URL("http://::1")
        URL("http://[::g]")
        URL("http://1.2.3.4.5")
        URL("http://256.1.1.1")
        URL("http://01.1.1.1")
        URL("http://b\u00fccher.de")
        URL("http://xn--bcher-kva.de").host
        URL("http://xn--\u00fc.de")
        URL("http://a\nb")
        URL("http://h/\x00")
        URL("http://h/\x7f")
        URL("x" * 65537)
        URL("http://h/" + "x" * 70000)
        URL("http:// h/")
        URL("http://h /")
        URL("//h/path")
        URL("mailto:a@b")
        URL(":80")
        URL("1:2")
        URL("://x")
        URL("http:///x")
        URL("http:x")
        URL("a:b/c")
        URL("./a:b")
        URL("?")
        URL("#")
        URL("http://h?a=b").raw_path
        URL("http://h#x").raw_path
        URL(None)
        URL(b"http://h")
        URL(1)
        URL("http://h", foo=1)
        URL("http://h", port="80")
        URL("http://h", scheme=1)
        URL("http://h", host=b"x")
        URL("http://h", path="x")
        URL("http://h", path="?x")
        URL("http://h", path="//x")
        URL("", path="//x")
        URL("", path=":x")
        URL("", path="x:y")
        URL("http://h", query="a")
        URL("http://h", raw_path=b"/a?b")
        URL("http://h", raw_path="/a")
        URL("http://h", username="a b", password="c:d")
        URL("http://h", username="a").userinfo
        URL("http://h", userinfo=b"a:b@c")
        URL("http://h", netloc=b"x:1")
        URL("http://h", fragment="x y")
        URL("http://h", host="a b")
        URL("http://h", host="::1")
        URL("http://h", scheme="1x")
        URL("http://h/?a=1", params={"b": 2})
        URL("http://h/?a=1", params={})
        URL("http://h/?a=1", params=None)
        URL("http://h/?a=1", params="x=y")
        URL("http://h/%7e%2f%zz%")
        URL("http://h/\u00fc?\u00fc#\u00fc")
        URL("http://h/ \"<>^`{|}'()*!$&+,;=:@[]\\")
        URL("http://h/? \"<>^`{|}'()*!$&+,;=:@[]\\/?")
        URL("http://h/# \"<>^`{|}'()*!$&+,;=:@[]\\/?")
        URL("http://a:b:c@h/").userinfo
        URL("http://a%40b:c%3A@h/").username
        URL("http://a%40b:c%3A@h/").password
        URL("http://a@b@h/")
        URL("http://h") == URL("http://h/")
        URL("http://h") == "http://h:80/"
        URL("http://h") == "http://h/x"
        URL("http://h") == 1
        URL("http://h") == "http://h:port"
        hash(URL("http://h")) == hash(URL("http://h/"))
        hash(URL("http://h")) == hash(URL("http://h:80"))
        URL("http://h/a/b").join("c")
        URL("http://h/a/b").join("/c")
        URL("http://h/a/b").join("//o/c")
        URL("http://h/a/b").join("?x")
        URL("http://h/a/b").join("")
        URL("http://h/a/b").join("http://[")
        URL("http://h/a/b").join(1)
        URL("http://h/a/b").copy_with(scheme="https", port=None)
        URL("http://h/a/b").copy_with(path=None)
        URL("http://h/?a=1&a=2").copy_set_param("a", 3)
        URL("http://h/?a=1").copy_add_param("a", None)
        URL("http://h/?a=1").copy_remove_param("a")
        URL("http://h/?a=1").copy_merge_params({"a": [1, 2], "b": True})
        URL("http://h/?a=1").raw
        URL("http://h").is_absolute_url
        URL("/h").is_relative_url
        URL("http://h/?a=1&b=2&a=3").params
        URL("http://u:p@h").netloc
        setting(URL("http://h"), "host", "x")
        again(URL("http://u:p@h/?q#f"))
        copies(URL("http://u:p@h/?q#f"))
        bool(URL(""))
        bool(URL("http://h"))
        URL("http://h") < URL("http://i")
        weakref.ref(URL("http://weak")) is None
    """,
    "query parameters": r"""
        QueryParams()
        QueryParams(None)
        QueryParams("a=1&b=2&a=3")
        QueryParams(b"a=1")
        QueryParams({"a": [1, 2], "b": None, "c": True, "d": 1.5})
        QueryParams([("a", 1), ("a", 2)])
        QueryParams((("a", 1),))
        QueryParams(a=1, b="x")
        QueryParams([1])
        QueryParams("a&b=&=c&&")
        QueryParams("a=%20+%2B%zz")
        QueryParams({"a": b"x"})
        QueryParams({"a": {"b": 1}})
        QueryParams({"\u00fc": "\u00e4 &"})
        QueryParams("a=1")["b"]
        QueryParams("a=1&a=2")["a"]
        QueryParams("a=1&a=2").get_list("a")
        QueryParams("a=1&a=2").get_list("b")
        QueryParams("a=1&a=2").get("b", "c")
        QueryParams("a=1&a=2&b=3").multi_items()
        list(QueryParams("a=1&a=2&b=3").items())
        list(QueryParams("a=1&a=2&b=3").keys())
        list(QueryParams("a=1&a=2&b=3").values())
        len(QueryParams("a=1&a=2&b=3"))
        list(QueryParams("a=1&a=2&b=3"))
        "a" in QueryParams("a=1")
        bool(QueryParams())
        QueryParams("a=1").set("a", [1, 2])
        QueryParams("a=1").set("b", None)
        QueryParams("a=1").add("a", 2)
        QueryParams("a=1").remove("b")
        QueryParams("a=1&b=2").merge({"a": 3})
        QueryParams("a=1&b=2").merge("a=3&a=4")
        QueryParams("a=1").update({"a": 2})
        QueryParams("a=1").__setitem__("a", 2)
        QueryParams("a=1").__delitem__("a")
        QueryParams("a=1&b=2") == QueryParams("b=2&a=1")
        QueryParams("a=1") == {"a": "1"}
        QueryParams("a=1") == "a=1"
        hash(QueryParams("a=1")) == hash(QueryParams("a=1"))
        again(QueryParams("a=1&a=2"))
        copies(QueryParams("a=1&a=2"))
        dict(QueryParams("a=1&a=2"))
    """,
    "headers": r"""
        Headers()
        Headers(None)
        Headers({"A": "1", "b": "2"})
        Headers([("A", "1"), ("a", "2")])
        Headers([(b"A", b"1")])
        Headers({b"A": b"1"})
        Headers({"A": 1})
        Headers({"A": None})
        Headers("x")
        Headers(1)
        Headers([1])
        Headers({"A": "\u00fc"})
        Headers({"A": "\u20ac"})
        Headers({"A": "\u20ac"}, encoding="utf-8")
        Headers({"A": "\u00fc"}).raw
        Headers({"A": "\u20ac"}).encoding
        Headers([(b"a", b"\xfc")]).encoding
        Headers([(b"a", b"\xfc")])["a"]
        setting(Headers([(b"a", b"\xc3\xbc")]), "encoding", "latin-1")
        Headers({"A": "1"})["a"]
        Headers({"A": "1"})["b"]
        Headers([("A", "1"), ("a", "2")])["A"]
        Headers([("A", "1, 2"), ("a", "3")]).get_list("a")
        Headers([("A", "1, 2"), ("a", "3")]).get_list("a", split_commas=True)
        Headers([("A", "1")]).get_list("b", True)
        Headers({"A": "1"}).get("b")
        Headers({"A": "1"}).get("b", 5)
        list(Headers([("A", "1"), ("a", "2"), ("B", "3")]).items())
        list(Headers([("A", "1"), ("a", "2"), ("B", "3")]).keys())
        list(Headers([("A", "1"), ("a", "2"), ("B", "3")]).values())
        Headers([("A", "1"), ("a", "2"), ("B", "3")]).multi_items()
        Headers([("A", "1"), ("a", "2")]).raw
        len(Headers([("A", "1"), ("a", "2")]))
        list(Headers([("A", "1"), ("a", "2")]))
        "A" in Headers({"a": "1"})
        Headers({"a": "1"}) == {"A": "1"}
        Headers({"a": "1"}) == Headers([("A", "1")])
        Headers([("a", "1"), ("b", "2")]) == [("b", "2"), ("a", "1")]
        Headers({"a": "1"}) == "a"
        hash(Headers())
        Headers({"Authorization": "x", "Proxy-Authorization": "y", "B": "z"})
        Headers({"A": "1"}).copy()
        copies(Headers([("A", "1"), ("a", "2")]))
        again(Headers([("A", "1"), ("a", "2")]))
        bool(Headers())
        (h := Headers({"A": "1"})).update({"a": "2", "B": "3"}) or h
        (h := Headers({"A": "1"})).update([("a", "2"), ("a", "3")]) or h
        (h := Headers({"A": "1"})).update(None) or h
        (h := Headers([("A", "1"), ("a", "2")])).__setitem__("a", "3") or h
        (h := Headers([("A", "1"), ("a", "2")])).__delitem__("a") or h
        Headers().__delitem__("a")
        Headers({"a": "1"}).pop("A")
        Headers({"a": "1"}).pop("B")
        Headers({"a": "1"}).setdefault("A", "2")
        (h := Headers({"a": "1"})).clear() or h
    """,
    "cookies": r"""
        Cookies()
        Cookies(None)
        Cookies(CookieJar())
        Cookies(1)
        Cookies({"a": "1"})["a"]
        Cookies({"a": "1"})["b"]
        Cookies({"a": "1"}).get("b")
        Cookies({"a": "1"}).get("b", "c")
        (c := Cookies({"a": "1"})).set("a", "2", domain="h") or c["a"]
        (c := Cookies({"a": "1"})).set("a", "2", domain="h") or c.get("a")
        (c := Cookies({"a": "1"})).set("a", "2", domain="h") or c.get("a", domain="h")
        (c := Cookies({"a": "1"})).set("a", "2", path="/p") or c.get("a", path="/p")
        (c := Cookies({"a": "1"})).delete("a") or c
        Cookies({"a": "1"}).delete("b")
        Cookies({"a": "1"}).__delitem__("b")
        (c := Cookies({"a": "1"})).clear() or c
        (c := Cookies({"a": "1"})).clear(domain="h")
        (c := Cookies({"a": "1"})).__setitem__("b", "2") or dict(c)
        len(Cookies({"a": "1", "b": "2"}))
        list(Cookies({"a": "1", "b": "2"}))
        bool(Cookies())
        "a" in Cookies({"a": "1"})
        Cookies({"a": "1"}) == Cookies({"a": "1"})
        Cookies({"a": "1"}) == {"a": "1"}
        hash(Cookies())
        isinstance(Cookies().jar, CookieJar)
    """,
    "settings": r"""
        Timeout()
        Timeout(None)
        Timeout(5)
        Timeout(5.0, connect=1)
        Timeout(connect=1)
        Timeout(connect=1, read=2, write=3, pool=4)
        Timeout(connect=None, read=None, write=None, pool=None)
        Timeout((1, 2))
        Timeout((1, 2, 3))
        Timeout((1, 2, 3, 4))
        Timeout(Timeout(5))
        Timeout(Timeout(5, read=None))
        Timeout([1, 2])
        Timeout(0)
        Timeout(5, foo=1)
        Timeout(5) == Timeout(5.0)
        Timeout(5) == Timeout(connect=5, read=5, write=5, pool=5)
        Timeout(5) == 5
        hash(Timeout(5))
        Timeout(5, read=3).as_dict()
        (Timeout(5, read=3).connect, Timeout(5, read=3).read, Timeout(5, read=3).write, Timeout(5, read=3).pool)
        setting(Timeout(5), "read", 3)
        again(Timeout(5, read=3))
        copies(Timeout(5, read=3))
        Limits()
        Limits(max_connections=5)
        Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)
        Limits(5)
        Limits(foo=1)
        Limits(max_connections=5) == Limits(max_connections=5)
        Limits(max_connections=5) == Limits()
        Limits() == 5
        hash(Limits())
        setting(Limits(), "max_connections", 5)
        again(Limits(max_connections=5))
        copies(Limits(max_connections=5))
        Proxy("http://h")
        Proxy("http://h:8080/path")
        Proxy("https://u:p@h:8080")
        Proxy("socks5://h")
        Proxy("socks5h://h")
        Proxy("socks4://h")
        Proxy("ftp://h")
        Proxy("h:8080")
        Proxy("h")
        Proxy("")
        Proxy(URL("http://u:p@h"))
        Proxy(None)
        Proxy(1)
        Proxy("http://h", auth=("u", "p"))
        Proxy("http://h", auth=("u", "p")).raw_auth
        Proxy("http://u:p@h").raw_auth
        Proxy("http://u:p@h").auth
        Proxy("http://u:p@h").url
        Proxy("http://u:p@h", auth=("x", "y")).auth
        Proxy("http://h").raw_auth
        Proxy("http://h", headers={"A": "1"})
        Proxy("http://h", headers={"A": "1"}).headers
        Proxy("http://h").headers
        Proxy("http://h").ssl_context
        Proxy("http://h") == Proxy("http://h")
    """,
    "requests": r"""
        Request("GET", "http://h")
        Request("get", "http://h").method
        Request("GET", b"http://h")
        Request("GET", "")
        Request("GET", None)
        Request("GET", "http://h").headers
        Request("POST", "http://h").headers
        Request("PUT", "http://h:8080").headers
        Request("POST", "http://h", content=b"x").headers
        Request("POST", "http://h", content="\u00fc").content
        Request("POST", "http://h", content=1)
        Request("POST", "http://h", content={"a": 1})
        Request("POST", "http://h", content=["a"])
        Request("POST", "http://h", content=generator(b"a")).headers
        Request("POST", "http://h", content=generator(b"a")).content
        Request("POST", "http://h", content=generator(b"a", b"b")).read()
        (r := Request("POST", "http://h", content=generator(b"a"))).read() and r.content
        Request("POST", "http://h", data={"a": 1, "b": [2, None, True]}).content
        Request("POST", "http://h", data={"a": 1}).headers
        Request("POST", "http://h", data=b"x").headers
        Request("POST", "http://h", data="x").content
        Request("POST", "http://h", data=generator(b"a")).headers
        Request("POST", "http://h", data={})
        Request("POST", "http://h", data={}).headers
        Request("POST", "http://h", data=1)
        Request("POST", "http://h", json={"a": "\u00fc", "b": [1.5, None, True]}).content
        Request("POST", "http://h", json=None).headers
        Request("POST", "http://h", json=float("nan"))
        Request("POST", "http://h", json=object())
        Request("POST", "http://h", json="x").headers
        Request("POST", "http://h", json={"a": 1}, headers={"Content-Type": "x/y"}).headers
        Request("POST", "http://h", files={"f": "text"}, headers={"Content-Type": "multipart/form-data; boundary=b"}).read()
        Request("POST", "http://h", files={"f": io.BytesIO(b"x")}, headers={"Content-Type": "multipart/form-data; boundary=b"}).read()
        Request("POST", "http://h", files={"f": ("n", b"x", "t/t", {"X": "1"})}, data={"a": ["1", 2]}, headers={"Content-Type": "multipart/form-data; boundary=b"}).read()
        Request("POST", "http://h", files={"f": io.StringIO("x")})
        Request("POST", "http://h", files={"f": ("a", "b", "c", "d", "e")})
        Request("POST", "http://h", files=[("f", b"1"), ("f", b"2")], headers={"Content-Type": "multipart/form-data; boundary=b"}).read()
        Request("POST", "http://h", files={})
        Request("POST", "http://h", files={}).headers
        Request("POST", "http://h", files={"f": b""}, data={"a": {"b": 1}})
        Request("POST", "http://h", files={1: b""})
        Request("POST", "http://h", files={"f": b"x"}, data={1: "x"}, headers={"Content-Type": "multipart/form-data; boundary=b"}).read()
        Request("POST", "http://h", content=b"x", data={"a": 1}).content
        Request("POST", "http://h", content=b"x", json={"a": 1}).content
        Request("POST", "http://h", data={"a": 1}, json={"a": 1}).content
        Request("POST", "http://h", stream=ByteStream(b"x")).headers
        Request("POST", "http://h", stream=ByteStream(b"x")).content
        Request("POST", "http://h", stream=ByteStream(b"x")).read()
        Request("GET", "http://h/?a=1", params={"b": 2}).url
        Request("GET", "http://h", headers={"Host": "x"}).headers
        Request("GET", "http://h", headers=1)
        Request("GET", "http://h", extensions={"a": 1}).extensions
        Request("GET", "http://h", extensions=1)
        Request("GET", "http://h", extensions=None).extensions
        Request("GET", "http://h", foo=1)
        Request("GET", "http://h") == Request("GET", "http://h")
        hash(Request("GET", "http://h")) is None
        again(Request("GET", "http://h", headers={"A": "1"}, extensions={"a": 1})).extensions
        again(Request("GET", "http://h", headers={"A": "1"})).headers
        again(Request("POST", "http://h", content=b"x")).content
        again(Request("POST", "http://h", content=generator(b"x"))).read()
        again(Request("POST", "http://h", content=generator(b"x"))).content
        setting(Request("GET", "http://h"), "method", "POST")
        setting(Request("GET", "http://h"), "url", URL("http://x"))
        setting(Request("GET", "http://h"), "headers", Headers())
        setting(Request("GET", "http://h"), "stream", None)
        setting(Request("GET", "http://h"), "content", b"")
        run(Request("POST", "http://h", content=agenerator(b"x")).aread())
        run(Request("POST", "http://h", content=b"x").aread())
    """,
    "responses": r"""
        Response(200)
        Response(299)
        Response(404, extensions={"reason_phrase": b"Nope"})
        Response(404, extensions={"reason_phrase": b"Nope"}).reason_phrase
        Response(200, extensions={"http_version": b"HTTP/2"}).http_version
        Response(200).http_version
        Response("200")
        Response(99).reason_phrase
        Response(None)
        Response()
        Response(200, content=b"x").headers
        Response(200, content="x").headers
        Response(200, text="\u00fc").headers
        Response(200, html="x").headers
        Response(200, json={"a": "\u00fc"}).headers
        Response(200, json={"a": "\u00fc"}).content
        Response(200, json=float("nan"))
        Response(200, json=object())
        Response(200, content=1)
        Response(200, content={"a": 1})
        Response(200, content=["a"])
        Response(200, content=generator(b"a")).headers
        Response(200, content=generator(b"a")).content
        Response(200, content=generator(b"a", b"b")).read()
        (r := Response(200, content=generator(b"a", b"b"))).read() + r.read()
        (list((r := Response(200, content=generator(b"a", b"b"))).iter_raw()), list(r.iter_raw()))
        (list((r := Response(200, content=generator(b"a", b"b"))).iter_bytes()), list(r.iter_bytes()))
        (list((r := Response(200, content=generator(b"a", b"b"))).iter_bytes()), r.content)
        (list((r := Response(200, content=generator(b"a", b"b"))).iter_bytes()), r.read())
        ((r := Response(200, content=generator(b"a"))).close(), r.read())
        ((r := Response(200, content=generator(b"a"))).close(), list(r.iter_bytes()))
        ((r := Response(200, content=b"a")).close(), r.read())
        list(Response(200, content=b"abcde").iter_bytes(2))
        list(Response(200, content=b"abcde").iter_raw(2))
        list(Response(200, text="abcde").iter_text(2))
        list(Response(200, text="a\nb\r\nc\n").iter_lines())
        list(Response(200).iter_bytes())
        list(Response(200).iter_text())
        list(Response(200).iter_lines())
        Response(200, content=b"x", text="y").content
        Response(200, stream=ByteStream(b"x")).headers
        Response(200, stream=ByteStream(b"x")).content
        Response(200, stream=ByteStream(b"x")).read()
        Response(200, request=request).request
        Response(200).request
        Response(200, request=request).url
        Response(200).url
        Response(200, request=request).elapsed
        setting(Response(200), "elapsed", timedelta(seconds=1))
        setting(Response(200), "request", request)
        setting(Response(200), "encoding", "latin-1")
        setting(Response(200), "encoding", "nonsense")
        (r := Response(200, content=b"x")).text and setting(r, "encoding", "latin-1")
        setting(Response(200), "status_code", 500)
        setting(Response(200), "url", 1)
        setting(Response(200), "text", "x")
        setting(Response(200), "content", b"x")
        setting(Response(200), "reason_phrase", "x")
        setting(Response(200), "history", [1])
        setting(Response(200), "next_request", 1)
        setting(Response(200), "is_closed", True)
        setting(Response(200), "default_encoding", "x")
        Response(200).encoding
        Response(200, headers={"Content-Type": "text/plain; charset=latin-1"}).encoding
        Response(200, headers={"Content-Type": "text/plain; charset=nonsense"}).encoding
        Response(200, headers={"Content-Type": "text/plain; charset=nonsense"}).charset_encoding
        Response(200, headers={"Content-Type": "text/plain; charset=\"Latin-1\""}).charset_encoding
        Response(200, default_encoding="latin-1", content=b"\xfc").text
        Response(200, default_encoding=lambda content: "latin-1", content=b"\xfc").text
        Response(200, content=b"\xff").text
        Response(200, content=b"\xef\xbb\xbfx").text
        Response(200, content=b"x").json()
        Response(200, content=b"").json()
        Response(200, content=b"[1]").json()
        Response(200, content="[1]".encode("utf-16")).json()
        Response(200, content=b"\xef\xbb\xbf[1]").json()
        Response(200, content=b"1.5").json(parse_float=str)
        Response(200, content=b"\xff").json()
        Response(200, content=generator(b"1")).json()
        Response(200).num_bytes_downloaded
        Response(200, content=b"xx").num_bytes_downloaded
        (r := Response(200, content=generator(b"xx"))).read() and r.num_bytes_downloaded
        Response(200).is_closed
        Response(200, content=generator()).is_closed
        Response(200).is_stream_consumed
        Response(200, content=generator()).is_stream_consumed
        Response(200).raise_for_status()
        Response(200, request=request).raise_for_status()
        Response(204, request=request).raise_for_status()
        Response(100, request=request).raise_for_status()
        Response(301, request=request).raise_for_status()
        Response(301, request=request, headers={"Location": "/x"}).raise_for_status()
        Response(404, request=request).raise_for_status()
        Response(500, request=request).raise_for_status()
        Response(600, request=request).raise_for_status()
        Response(99, request=request).raise_for_status()
        Response(404, request=request, extensions={"reason_phrase": b"Nope"}).raise_for_status()
        [(Response(status).is_informational, Response(status).is_success, Response(status).is_redirect, Response(status).is_client_error, Response(status).is_server_error, Response(status).is_error, Response(status).has_redirect_location) for status in (100, 199, 200, 299, 300, 301, 304, 399, 400, 499, 500, 599, 600)]
        [Response(status, headers={"Location": "/"}).has_redirect_location for status in range(300, 310)]
        Response(200, headers={"Link": "<http://h/a>; rel=next, </b>; rel=\"prev\"; title=x"}).links
        Response(200, headers={"Link": "</b>"}).links
        Response(200, headers=[("Set-Cookie", "a=1")]).cookies
        Response(200).history
        Response(200).next_request
        Response(200).extensions
        Response(200, headers={"Content-Encoding": "identity"}, content=b"x").content
        Response(200, headers={"Content-Encoding": "nonsense"}, content=b"x").content
        Response(200, headers={"Content-Encoding": "gzip"}, content=b"").content
        Response(200) == Response(200)
        again(Response(200, content=b"x", request=request)).content
        again(Response(200, content=b"x", request=request, extensions={"a": 1})).extensions
        again(Response(200, content=b"x")).is_closed
        again(Response(200, content=generator(b"x"))).content
        again(Response(200, content=generator(b"x"))).read()
        again(Response(200, text="x")).text
        again(Response(200, history=[Response(301)])).history
        run(Response(200, content=generator(b"x")).aread())
        run(Response(200, content=b"x").aread())
        run(Response(200, content=generator(b"x")).aclose())
        run(Response(200, content=b"x").aclose())
        run(all_of(Response(200, content=b"abc").aiter_bytes(2)))
        run(all_of(Response(200, text="abc").aiter_text(2)))
        run(all_of(Response(200, text="a\nb").aiter_lines()))
        run(all_of(Response(200, content=b"abc").aiter_raw()))
        run(all_of(Response(200, content=agenerator(b"a", b"b")).aiter_bytes()))
        run(all_of(Response(200, content=generator(b"a", b"b")).aiter_bytes()))
        run(Response(200, content=agenerator(b"a", b"b")).aread())
        Response(200, content=agenerator(b"a")).read()
        list(Response(200, content=agenerator(b"a")).iter_bytes())
        Response(200, content=agenerator(b"a")).close()
    """,
    "codes": r"""
        codes(404)
        codes(413)
        codes(999)
        codes.OK
        codes.ok
        codes["NOT_FOUND"]
        codes.NOT_FOUND == 404
        str(codes.NOT_FOUND)
        repr(codes.NOT_FOUND)
        f"{codes.NOT_FOUND}"
        codes.NOT_FOUND.phrase
        codes.get_reason_phrase(404)
        codes.get_reason_phrase(999)
        codes.get_reason_phrase("404")
        [(code.name, code.value, code.get_reason_phrase(code)) for code in codes]
        codes.is_error(404)
        codes.is_success(codes.OK)
        codes.is_redirect(304)
        codes.is_informational(100)
        codes.is_client_error(500)
        codes.is_server_error(500)
        codes.__members__.get("UNPROCESSABLE_ENTITY")
        again(codes.OK)
        codes.NONSENSE
        codes.request_entity_too_large
        [getattr(codes, code.name.lower()) for code in codes]
    """,
    "streams, authentication, transports, errors": r"""
        ByteStream(b"x")
        list(ByteStream(b"x"))
        ByteStream("x")
        list(ByteStream(b""))
        SyncByteStream()
        list(SyncByteStream())
        SyncByteStream().close()
        AsyncByteStream()
        BaseTransport()
        BaseTransport().handle_request(request)
        BaseTransport().close()
        AsyncBaseTransport()
        BasicAuth("u", 1)
        [r.headers["Authorization"] for r in BasicAuth("u", "p\u00fc").auth_flow(Request("GET", "http://h"))]
        [r.headers["Authorization"] for r in BasicAuth("u", "p").sync_auth_flow(Request("GET", "http://h"))]
        BasicAuth()
        DigestAuth()
        NetRCAuth("/nonexistent")
        NetRCAuth(file="/nonexistent")
        Auth()
        list(Auth().auth_flow(request))
        Auth().requires_request_body
        Auth().requires_response_body
        DigestAuth("u", "p").requires_response_body
        HTTPTransport(foo=1)
        HTTPTransport(proxy="ftp://h")
        HTTPTransport(verify="/nonexistent")
        MockTransport()
        MockTransport(ok).handle_request(request)
        create_ssl_context()
        create_ssl_context(verify=False).verify_mode
        create_ssl_context(verify="/nonexistent")
        create_ssl_context(cert="/nonexistent")
        create_ssl_context(cert=("/nonexistent", "/nonexistent"))
        create_ssl_context(trust_env=False).check_hostname
        create_ssl_context(foo=1)
        type(USE_CLIENT_DEFAULT).__name__
        HTTPError("x")
        HTTPError()
        HTTPError("x").request
        RequestError("x")
        RequestError("x").request
        RequestError("x", request=request).request
        RequestError(request=request)
        ReadTimeout("x", request=request)
        str(ReadTimeout("x"))
        repr(ReadTimeout("x"))
        HTTPStatusError("x")
        HTTPStatusError("x", request=request, response=Response(500))
        HTTPStatusError("x", request=request, response=Response(500)).response
        HTTPStatusError("x", request=request, response=Response(500)).request
        HTTPStatusError("x", request=None, response=None).request
        TooManyRedirects("x")
        InvalidURL("x")
        InvalidURL()
        CookieConflict("x")
        CookieConflict()
        StreamError("x")
        StreamError()
        StreamConsumed()
        StreamClosed()
        ResponseNotRead()
        RequestNotRead()
        again(ReadTimeout("x"))
        again(InvalidURL("x"))
        again(StreamError("x"))
        again(CookieConflict("x"))
        again(ReadTimeout("x", request=request))
        raising(HTTPStatusError("x", request=request, response=Response(500)))
        run(all_of(ByteStream(b"x")))
        run(all_of(BasicAuth("u", "p").async_auth_flow(Request("GET", "http://h"))))
        run(all_of(AsyncByteStream()))
    """,
    "clients": r"""
        Client().is_closed
        Client().trust_env
        Client(trust_env=False).trust_env
        Client().follow_redirects
        Client().max_redirects
        Client().timeout
        Client().base_url
        Client(base_url="http://h/a").base_url
        Client(base_url="http://h/a?x=1").base_url
        Client(base_url=None)
        Client(base_url=1)
        Client(base_url="http://h:port")
        Client().params
        Client(params={"a": 1}).params
        Client().cookies
        Client().auth
        Client().event_hooks
        Client(headers=1)
        Client(auth=1)
        Client(auth="x")
        Client(auth=["u", "p"])
        type(Client(auth=("u", "p")).auth).__name__
        type(Client(auth=lambda r: r).auth).__name__
        Client(auth=None).auth
        Client(timeout=None).timeout
        Client(timeout=(1, 2)).timeout
        Client(proxy="ftp://h")
        Client(proxy="h:80")
        Client(verify="/nonexistent")
        Client(cert="/nonexistent")
        Client(mounts={"http": None})
        Client(mounts={"http://": None}).is_closed
        Client(event_hooks={"request": [ok]}).event_hooks.keys()
        Client(event_hooks=1)
        Client(transport=1).is_closed
        Client(default_encoding=1).is_closed
        Client(foo=1)
        Client(1)
        setting(Client(), "timeout", 3)
        setting(Client(), "base_url", "http://h/a")
        setting(Client(), "base_url", 1)
        setting(Client(), "params", {"a": 1})
        setting(Client(), "cookies", {"a": "1"}).get("a")
        list(setting(Client(), "headers", {"X": "1"}))
        type(setting(Client(), "auth", ("u", "p"))).__name__
        setting(Client(), "auth", 1)
        setting(Client(), "event_hooks", {"request": [ok]}).keys()
        setting(Client(), "is_closed", True)
        setting(Client(), "trust_env", False)
        setting(Client(), "follow_redirects", True)
        setting(Client(), "max_redirects", 3)
        list(Client().headers.keys())
        Client().headers["accept-encoding"]
        Client().headers["user-agent"]
        Client().build_request("GET", "http://h").headers
        Client().build_request("GET", "http://h").extensions
        Client().build_request("GET", "http://h", timeout=None).extensions
        Client().build_request("GET", "http://h", timeout=(1, 2)).extensions
        Client().build_request("GET", "http://h", extensions={"a": 1}).extensions
        Client().build_request("GET", "http://h:port")
        Client().build_request("GET", None)
        Client().build_request("GET", "/x").url
        Client(base_url="http://h/a/").build_request("GET", "/x").url
        Client(base_url="http://h/a").build_request("GET", "").url
        Client(base_url="http://h/a").build_request("GET", "../x").url
        Client(base_url="http://h/a").build_request("GET", "http://o/x").url
        Client(base_url="http://h/a").build_request("GET", "//o/x").url
        Client(params={"a": 1}).build_request("GET", "http://h/?b=2").url
        Client(params={"a": 1}).build_request("GET", "http://h/?b=2", params={"a": 3, "c": 4}).url
        Client().build_request("GET", "http://h/?b=2", params={}).url
        Client(cookies={"a": "1"}).build_request("GET", "http://h").headers.get("cookie")
        Client(cookies={"a": "1"}).build_request("GET", "http://h", cookies={"b": "2"}).headers.get("cookie")
        Client().build_request("GET", "http://h", foo=1)
        Client().build_request("POST", "http://h", data=b"x").read()
        Client().build_request("POST", "http://h", content=1)
        served(ok).get("http://h")
        served(ok).get("http://h").request
        served(ok).get("http://h").url
        served(ok).get("http://h").history
        served(ok).get("http://h").is_closed
        served(ok).get("http://h", params={"a": 1}).url
        served(ok).get("http://h", auth=("u", "p")).request.headers["authorization"]
        served(ok).get("http://u:p@h").request.headers["authorization"]
        served(ok).get("http://u:p@h").request.url
        served(ok).get("http://u:p@h", auth=None).request.headers.get("authorization")
        served(ok).get("http://h", auth=1)
        served(ok).get("http://h", follow_redirects=None)
        served(ok).get("http://h", content=b"x")
        served(ok).get("http://h", foo=1)
        served(ok).get()
        served(ok).get("ftp://h/x")
        served(ok).get(None)
        served(ok).get(b"http://h")
        served(ok).get(1)
        served(ok).get("http://h:port")
        served(ok).get("http://h/\n")
        served(ok).get("http://[")
        served(ok).get("http://h", headers={"A": "\u00fc"}).request.headers.raw[-1]
        served(ok).get("http://h", headers={"A": 1})
        served(ok).get("http://h", headers=1)
        served(ok).get("http://h", extensions=1)
        served(ok).get("http://h", extensions={"timeout": None})
        served(ok).get("http://h", extensions={"nonsense": 1})
        served(ok).post("http://h", content=b"x").request.content
        served(ok).post("http://h", json={"a": 1}).request.headers["content-type"]
        served(ok).post("http://h", data=b"x").request.content
        served(ok).post("http://h", content=1)
        served(ok).post("http://h", content=generator(b"x")).request.read()
        served(ok).put("http://h").request.headers
        served(ok).patch("http://h").request.method
        served(ok).delete("http://h").request.method
        served(ok).head("http://h").request.method
        served(ok).options("http://h").request.method
        served(ok).delete("http://h", json={})
        served(ok).request("purge", "http://h").request.method
        served(ok).request("GET")
        served(ok).send(request)
        served(ok).send(request, stream=True).is_closed
        served(ok).send(request, auth=1)
        served(ok).send(Request("POST", "http://h", content=generator(b"x"))).request.read()
        served(lambda request: None).get("http://h")
        served(lambda request: 1 / 0).get("http://h")
        served(lambda request: raising(ReadTimeout("slow"))).get("http://h")
        served(lambda request: raising(ReadTimeout("slow", request=request))).get("http://h")
        served(lambda request: raising(OSError("x"))).get("http://h")
        served(lambda request: raising(InvalidURL("x"))).get("http://h")
        served(lambda request: Response(302)).get("http://h", follow_redirects=True)
        served(lambda request: Response(302, headers={"Location": "/x"})).get("http://h").next_request
        served(lambda request: Response(302, headers={"Location": "/x"})).get("http://h", follow_redirects=True)
        served(lambda request: Response(302, headers={"Location": "/x"}), max_redirects=0).get("http://h", follow_redirects=True)
        served(lambda request: Response(302, headers={"Location": "/x"})).get("http://h").raise_for_status()
        served(lambda request: Response(302, headers={"Location": "/x"})).get("http://h").has_redirect_location
        served(lambda request: Response(200) if request.url.path == "/x" else Response(302, headers={"Location": "/x"}), follow_redirects=True).get("http://h").history
        served(lambda request: Response(200) if request.url.path == "/x" else Response(303, headers={"Location": "/x"}), follow_redirects=True).post("http://h", content=b"x").request
        served(lambda request: Response(200) if request.url.path == "/x" else Response(307, headers={"Location": "/x"}), follow_redirects=True).post("http://h", content=b"x").request.content
        served(lambda request: Response(200) if request.url.path == "/x" else Response(302, headers={"Location": "ftp://h/x"}), follow_redirects=True).get("http://h")
        served(lambda request: Response(302, headers={"Location": "http://h:port"}), follow_redirects=True).get("http://h")
        served(lambda request: Response(302, headers={"Location": "http://["}), follow_redirects=True).get("http://h")
        served(lambda request: Response(404)).get("http://h").raise_for_status()
        served(lambda request: Response(200, text="x"), default_encoding="latin-1").get("http://h").encoding
        served(lambda request: Response(200, content=b"x"), default_encoding="latin-1").get("http://h").encoding
        served(lambda request: Response(200, headers={"Set-Cookie": "a=1"})).get("http://h").cookies.get("a")
        (c := served(lambda request: Response(200, headers={"Set-Cookie": "a=1"}))).get("http://h") and c.cookies.get("a")
        (c := served(ok)).close() or c.is_closed
        (c := served(ok)).close() or c.get("http://h")
        (c := served(ok)).close() or c.close()
        (c := served(ok)).close() or c.__enter__()
        (c := served(ok)).__enter__() is c
        (c := served(ok)).__enter__() and c.__enter__()
        (c := served(ok)).__enter__() and c.__exit__(None, None, None) or c.is_closed
        (c := served(ok)).__enter__() and c.__exit__(None, None, None) or c.__enter__()
        (c := served(ok)).get("http://h") and c.__enter__()
        (s := served(ok).stream("GET", "http://h")).__enter__()
        served(ok).stream("GET", "http://h:port").__enter__()
        served(ok).stream("GET", "http://h", content=1).__enter__()
        (r := served(lambda request: Response(200, content=generator(b"x"))).send(request, stream=True)).content
        (r := served(lambda request: Response(200, content=generator(b"x"))).send(request, stream=True)).elapsed
        (r := served(lambda request: Response(200, content=generator(b"x"))).send(request, stream=True)).text
        (r := served(lambda request: Response(200, content=generator(b"x"))).send(request, stream=True)).json()
        (r := served(lambda request: Response(200, content=generator(b"x"))).send(request, stream=True)).read()
        (r := served(lambda request: Response(200, content=generator(b"x"))).send(request, stream=True)).close() or r.read()
        (r := served(lambda request: Response(200, content=generator(b"x"))).send(request, stream=True)).close() or r.is_closed
        run(AsyncClient().aclose())
        run(aserved(ok).get("http://h"))
        run(aserved(ok).get("ftp://h"))
        run(aserved(ok).get("http://h", auth=1))
        run(aserved(ok).get("http://h:port"))
        run(aserved(ok).get("http://h", content=b"x"))
        run(aserved(lambda request: None).get("http://h"))
        run(aserved(lambda request: raising(ReadTimeout("slow"))).get("http://h"))
        run(aserved(ok).post("http://h", content=generator(b"x")))
        run(aserved(ok).post("http://h", content=b"x")).request.content
        run(twice(aserved(ok)))
        run(closed(aserved(ok)))
        run(aserved(ok).__aenter__()).is_closed
        run(aserved(lambda request: Response(302, headers={"Location": "/x"})).get("http://h", follow_redirects=True))
        served(ok).post("http://h", content=agenerator(b"x"))
        get("http://h:port")
        get("/x")
        get("ftp://h")
        get()
        get("http://h", content=b"x")
        get("http://h", foo=1)
        get("http://h", proxy="ftp://h")
        get("http://h", verify="/nonexistent")
        get("http://h", auth=1)
        get(None)
        post("http://h", content=1)
        lib.request("G T", "http://h:port")
        stream("GET", "http://h:port").__enter__()
        stream("GET", "/x").__enter__()
        (lib.__title__, type(lib.__version__).__name__, type(lib.__description__).__name__)
    """,
}
"""By subject: the same value, warnings and errors; a message may say more where a call is mistaken."""

DIFFERENT: dict[str, str] = {
    "schemes in capitals": r"""
        URL("HTTP://User:Pass@Example.ORG:80/a/../b c?q=1 2#f g")
        str(URL("HTTP://User:Pass@Example.ORG:80/a/../b c?q=1 2#f g"))
    """,
    "ports over 65535": r"""
        URL("http://h:80808")
        URL("http://h:-1")
        URL("http://h", port=99999)
    """,
    "wrong types": r"""
        URL("http://h", query=b"a=\xff")
        QueryParams({"a": 1}, b=2)
        QueryParams({"a": 1}, {"b": 2})
        QueryParams(1)
        Headers({1: "A"})
        1 in Headers({"a": "1"})
        Headers({"a": "1"}) == 5
        (h := Headers()).__setitem__("a", 3) or h
        (h := Headers()).__setitem__("a", b"3") or h
        Cookies("a=1")
        Request(b"get", "http://h")
        Request(1, "http://h")
        Request("POST", "http://h", data=[("a", "1")])
        Request("POST", "http://h", files={"f": 1}, headers={"Content-Type": "multipart/form-data; boundary=b"}).read()
        Request("GET", "http://h", cookies=1)
        MockTransport(None)
        create_ssl_context(verify=1)
        Client(params=1)
        Client(auth=("u",))
        Client(auth=("u", "p", "x"))
        Client(limits=None)
        Client(limits=5)
        Client(proxy=1)
        Client(verify=1)
        Client(mounts=1)
        served(ok).get("http://h", auth=("u",))
        served(ok).get("http://h", params=1)
        served(ok).request(None, "http://h")
        served(ok).send(None)
        served(ok).send("http://h")
        run(aserved(ok).send(None))
        run(aserved(lambda request: Response(200, content=generator(b"x"))).get("http://h"))
        run(Request("POST", "http://h", content=generator(b"x")).aread())
        Request("POST", "http://h", content=agenerator(b"x")).read()
        Client(transport=MockTransport(lambda request: Response(200, content=agenerator(b"x")))).get("http://h")
        HTTPTransport(proxy=1)
    """,
    "names without values": r"""
        QueryParams({"a": []})
    """,
    "equal params hash alike": r"""
        hash(QueryParams("a=1&b=2")) == hash(QueryParams("b=2&a=1"))
    """,
    "values have slots": r"""
        setting(Headers(), "foo", 1)
    """,
    "secrets are masked": r"""
        Cookies({"a": "1"})
        Cookies([("a", "1"), ("b", "2")])
        Cookies(Cookies({"a": "1"}))
        Cookies({"a": 1})
        Cookies({"a": None})
        (c := Cookies({"a": "1"})).set("a", "2", domain="h") or c
        (c := Cookies({"a": "1"})).update({"a": "2"}) or c
        Request("GET", "http://u:p@h")
        Request("GET", "http://h", cookies={"a": "1", "b": "2"}).headers
        Response(200, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], request=request).cookies
    """,
    "settings are validated": r"""
        Timeout((1,))
        Timeout((1, 2, 3, 4, 5))
        Timeout("5")
        Timeout("x")
        Timeout(-1)
        Timeout(float("nan"))
        Timeout(True)
        Limits(max_connections=-1)
        Limits(max_connections="5")
        list(Response(200, content=b"abcde").iter_bytes(chunk_size=0))
        HTTPTransport(http1=False, http2=False)
        Client(timeout="x")
        Client(max_redirects="x")
        Client(http1=False, http2=False)
        setting(Client(), "timeout", "x")
        Client().build_request("GET", "http://h", timeout="x")
    """,
    "methods are tokens": r"""
        Request("", "http://h")
        Request("G T", "http://h")
        served(ok).request("G T", "http://h")
        served(ok).request("", "http://h")
        run(aserved(ok).request("G T", "http://h"))
    """,
    "truncated content": r"""
        Response(200, headers={"Content-Encoding": "gzip"}, content=b"x").content
    """,
    "older spellings": r"""
        create_ssl_context(verify=cafile).verify_mode
        Client(verify=cafile).is_closed
    """,
    "reprs say more": r"""
        Client()
        AsyncClient()
        BasicAuth("u", "p")
        DigestAuth("u", "p")
        HTTPTransport()
        HTTPTransport(proxy="http://h")
        AsyncHTTPTransport()
        MockTransport(ok)
        USE_CLIENT_DEFAULT
    """,
    "errors pickle": r"""
        again(StreamConsumed())
        again(HTTPStatusError("x", request=request, response=Response(500)))
    """,
    "unknown events": r"""
        Client(event_hooks={"nonsense": [ok]})
    """,
    "bodies that are there already": r"""
        served(ok).get("http://h").elapsed >= timedelta(0)
    """,
    "relative URLs with cookies": r"""
        served(ok).get("")
        served(ok).get("/x")
        served(ok).get("h/x")
        served(ok).get("http://")
        served(ok).get("http:///x")
        served(ok).send(Request("GET", "/x"))
        run(aserved(ok).get("/x"))
    """,
    "cookies of one request": r"""
        served(ok).get("http://h", cookies={"a": "1"}).request.headers["cookie"]
    """,
    "single timeouts win": r"""
        Timeout(Timeout(5), connect=1)
    """,
}
"""By reason, a key of `DIFFERENCES`."""
