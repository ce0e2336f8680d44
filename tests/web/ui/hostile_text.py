"""A text that tries everything a page may fall for."""

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egpj.exe\x1b[31m" + "w" * 300
