"""The link between device and server: its model, messages over it in virtual time, and what requests over it cost."""
