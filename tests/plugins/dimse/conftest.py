from support.certificates import hospital, pacs, us

__all__ = ["hospital", "pacs", "us"]
