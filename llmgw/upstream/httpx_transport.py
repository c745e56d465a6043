class HttpxTransport:
    def __init__(self, origin, *, allow_private, proxy): pass
    async def aclose(self): pass
