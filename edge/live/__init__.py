"""The live loop: a microphone that is listened to, turn after turn."""
