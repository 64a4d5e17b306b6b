"""Where the tasks are."""

from rest_framework.routers import SimpleRouter

from drf.views import TaskViewSet

router = SimpleRouter(trailing_slash=False)
router.register("v1/tasks", TaskViewSet, basename="task")
urlpatterns = router.urls
