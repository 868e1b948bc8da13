"""A question becomes quotes: question → hits → spans → Answer."""
