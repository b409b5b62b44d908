"""Experiments end to end, and the page that reports them."""
