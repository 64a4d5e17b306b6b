"""What every endpoint shares: the house Api, Blueprint and Schema, and the rules of HTTP that hold for all of them."""
