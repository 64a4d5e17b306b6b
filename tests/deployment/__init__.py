"""docker-compose.yml, the Dockerfile and their page: read, and followed on this machine without a container."""
