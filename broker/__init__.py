"""All that is not at home. Rooms: `wire` (the contract), `mqtt`, `log`, `feed`, `inbox`, `agency`; each has its head.

`neighbourhood` joins them into the operator's process, `outlet` and `publisher` carry its announcements, `commands` are
the command lines. What several need stands beside them: `settings`, `facts`, `files`, `keyfiles`, `logs`, `terminal`.
"""
