-- The keyword of conversations is found in "search_text". A server of the last release still finds it without these, only slower.
DROP INDEX "fragment_text_idx";
DROP INDEX "conversation_title_idx";
