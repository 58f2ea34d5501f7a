"""The edge daemon and the owner's tools: what films, seals, tells, asks its owner, and hands over what was approved."""
