"""The reference application's view of a task's status: Django REST Framework, PostgreSQL, sessions.

One file, settings included. It is served by gunicorn as `application:application`.
"""

import os
import uuid

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.configure(
    SECRET_KEY="not a secret: it serves this machine for a minute",
    DEBUG=False,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "rest_framework",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "postgres",
            "HOST": os.environ["DATABASE_HOST"],
            "PORT": os.environ.get("DATABASE_PORT", "5432"),
            # Kept from one request to the next.
            "CONN_MAX_AGE": None,
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.db import models  # noqa: E402
from django.shortcuts import get_object_or_404  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Task(models.Model):
    """A long-running task of a user."""

    task_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    status = models.CharField(max_length=20, default="QUEUED")
    number_of_items = models.IntegerField()
    count_done_items = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "auth"
        db_table = "task"


class TaskStatus(APIView):
    """`GET /api/tuned-long-running-task/{task_id}/`."""

    def get(self, request, task_id):
        task = get_object_or_404(Task, task_id=task_id, user=request.user)
        return Response(
            {
                "success": True,
                "data": {
                    "task_id": task.task_id,
                    "task_status": task.status,
                    "done_percentage": 100 * task.count_done_items // task.number_of_items,
                    "count_done_items": task.count_done_items,
                    "number_of_items": task.number_of_items,
                },
            }
        )


urlpatterns = [path("api/tuned-long-running-task/<uuid:task_id>/", TaskStatus.as_view())]

application = get_wsgi_application()
