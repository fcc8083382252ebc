--- Markdown and the blocks of Notion, both ways. What ligase writes comes back the same;
--- what Markdown has no form for, such as colours, does not.
local markdown_read = require "ligase.io.notion.markdown_read"
local markdown_write = require "ligase.io.notion.markdown_write"

local M = {}

M.write, M.read = markdown_write.write, markdown_read.read

return M
