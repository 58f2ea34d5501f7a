"""The contract that homes, agencies and the operator speak: encodings, proofs, records. A leaf: it imports no room."""
