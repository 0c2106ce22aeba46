"""How right and how fast a bundle is on labelled inputs. Nothing heavy is imported at the top."""
