std = "lua54"
max_line_length = 120
max_cyclomatic_complexity = 25
-- What lua/ligase/boot.lua declares for scripts and recipes.
read_globals = { "csv", "frame", "dictionary", "pg", "serve", "sys", "sqlite", "host", "http", "json" }
-- `_` and names beginning with it are there to be ignored; methods keep their self.
self = false
exclude_files = { "build" }
files["tests/**/*_spec.lua"].std = "+busted"
