"""How a head becomes public: asked of witnesses and mirrors, cosigned by a quorum, published."""
