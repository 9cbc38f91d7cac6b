"""How a scene is written: DOT and what the layout engine makes of it, SVG, TikZ, HTML, text, JSON."""
