"""What a picture says: each module here makes one kind of `Scene` (or a part of all of them)."""
