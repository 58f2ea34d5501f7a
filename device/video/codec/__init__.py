"""Access units and what holds them: H.264 and VP9 read and written, and the MP4 that they go into."""
