"""Looking at data before they are trained on: who weighs how much, what is there twice, what gives the answer away."""

from lifelong.audit.leaks import audit_task
from lifelong.audit.weights import Finding, audit_data

__all__ = ["Finding", "audit_data", "audit_task"]
