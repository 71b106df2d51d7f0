"""Use cases over ports: one public function a file, named by its verb."""
