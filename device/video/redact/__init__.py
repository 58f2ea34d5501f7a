"""Clips that are made from others: cut at any picture, faces and regions hidden for good; and a strip to choose by."""
