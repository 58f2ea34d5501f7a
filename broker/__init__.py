"""All that is not at home: the wire contract, the MQTT broker, public log and feed, the inbox, an agency's tools."""
