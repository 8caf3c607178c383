"""Makes the golden files; see ../make_goldens.py."""
