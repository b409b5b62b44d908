"""What the real game needs around it: settings, one user folder per instance, a launcher, and a doctor."""
