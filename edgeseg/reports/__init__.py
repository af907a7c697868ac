"""What `edgeseg verify` found, as one value, and its forms: JSON, Markdown, JUnit XML, HTML."""
