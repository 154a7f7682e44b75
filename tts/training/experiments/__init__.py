"""Experiments E0 to E7 of the image geometry: each is a function (context, seed) -> Outcome and a table of expectations."""
