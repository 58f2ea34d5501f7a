"""Pictures: capture, scenes, codec, motion, recorder. Knows no other room.

Nothing is imported here, so that who needs one module (`mux`, say) doesn't load codecs and drawing. What outsiders use:
`film.Film`, `capture.parse_source`, `outputs`, `packets`, `segments`, `mux`, `pictures`, `scene`, `errors`.
"""
