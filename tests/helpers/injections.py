"""Texts that would do harm if a page, a table or a PDF took them for more than text."""

INJECTIONS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(2)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "=HYPERLINK(\"http://evil.example/\")",
    "@SUM(1+1)",
    "$\\frac{1}{",
    "<link rel=attachment href=file:///etc/hostname>",
    "&lt;b&gt; & 'quotes'",
    "\u202eesrever",
    "a" * 300,
)  # fmt: skip
