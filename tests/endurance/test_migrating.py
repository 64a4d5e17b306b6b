"""Migrations while people are served: nobody is refused, and a runner that fails leaves nothing half done."""
