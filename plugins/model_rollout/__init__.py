"""Changing the champion from a DAG: in full or by canary, after a person's word when the form asks for one."""
