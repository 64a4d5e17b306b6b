"""The tasks as Django REST framework serves them: a model, a serializer, a view set, and nothing of their own but tokens."""
