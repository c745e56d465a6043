class Simulator:
    def __init__(self, settings): pass
    async def aclose(self): pass
