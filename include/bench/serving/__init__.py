"""What faceserve can do, measured in one run; each figure beside the plain way where there is one."""
