"""The mock interview: its bank of cases, the marking of answers, and the interviewer."""
