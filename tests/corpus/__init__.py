"""Odd input of every kind, each with the end that it has to come to (notes on reliability)."""
