"""Amazon Bedrock's Converse API, towards providers."""
