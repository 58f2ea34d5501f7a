"""Where pictures come from: files, scenes and cameras, each as packets in the canonical form."""
