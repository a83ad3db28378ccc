"""For authors of plugins, public: sample studies, an archive that misbehaves to order, contracts, skeletons.

Nothing here is imported by pacsferry at start-up; pytest (extra ``testing``) is needed by ``contracts`` only.
"""
