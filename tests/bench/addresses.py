"""To whom all mail of the benchmark goes, and from whom it comes."""

DOMAIN = "bench.example"
RECIPIENT = f"box@{DOMAIN}"
CLIENT = "client.example"  # what clients call themselves
SENDER = f"sender@{CLIENT}"
