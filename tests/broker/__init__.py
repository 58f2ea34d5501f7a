"""What the broker's rooms share, and where they are joined: files, settings, commands, announcements elsewhere."""
