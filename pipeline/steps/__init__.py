"""Use cases over ports: one public function per file, named by its verb."""
