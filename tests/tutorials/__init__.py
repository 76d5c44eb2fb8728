"""The programs of FastAPI's tutorial, rebuilt: each for both frameworks, with requests to both."""
