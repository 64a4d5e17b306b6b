"""The OpenAPI document: operations, headers, error responses, examples."""
