"""The commands of whoever is not at home: they join and print.

Each is imported from its own module when it is used: a neighbour's witness need not hold what the feed needs.
"""

from broker import logs

logs.configure()  # to standard error, whatever a command imports: standard output is for answers
